"""The command line: ``entry`` starts, ``command_line`` finds the command, one small file per command does it."""
