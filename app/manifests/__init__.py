"""The webhook's mutation offline: a file of manifests in, the same file with what the webhook would add.

Reading order: documents -> injection -> patching -> positions -> edits -> rendering -> sharing. All pure.

The text is edited, never written anew: what a patch adds is put in between the lines that are there, so order,
comments, quotes, anchors, indentation, line ends and the spelling of every other value stay what they were.
"""
