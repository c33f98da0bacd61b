"""What the command line's verbs do: narration on stderr, data on stdout, an exit code returned."""
