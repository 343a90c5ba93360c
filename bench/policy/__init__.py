"""What a pass over many rules costs."""
