"""What is asked of the machine: processes, files, memory, the end of a run."""
