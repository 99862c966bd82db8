"""A mouth made ready to open: fused lips cut apart, what lies behind them, and what turns with the jaw."""
