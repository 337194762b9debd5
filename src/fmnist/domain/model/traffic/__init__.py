"""What a served model meets: sketches of its inputs and answers, and how they differ from those of `val`."""
