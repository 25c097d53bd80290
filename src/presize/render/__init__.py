"""What becomes of the pixels of pictures: one plan, and two ways to carry it out."""
