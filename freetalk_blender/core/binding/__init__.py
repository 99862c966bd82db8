"""How every vertex of one mesh follows its landmarks."""
