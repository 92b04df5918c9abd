"""What runs on the instructor's side. Nothing here is imported by a notebook."""
