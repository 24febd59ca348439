"""What only the notebooks need. colorlib itself never imports it."""
