"""The command line: ``entry`` finds the command, one small file per command parses, calls and prints."""
