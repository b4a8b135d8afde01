"""Money as people read it."""

from __future__ import annotations


def format_usd(usd: float) -> str:
    """
    Write US dollars: to the cent, or below one dollar to a hundredth of it.

    >>> format_usd(1234.5), format_usd(0.0421), format_usd(0), format_usd(0.000001)
    ('$1,234.50', '$0.0421', '$0.00', 'below $0.0001')
    """
    if 0 < usd < 0.0001:
        return "below $0.0001"
    return f"${usd:,.4f}" if 0 < usd < 1 else f"${usd:,.2f}"
