"""What may be wrong with a data version: duplicates, look-alikes, outliers, doubtful labels, and uneven splits."""
