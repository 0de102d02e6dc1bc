"""A small exchange-rate service for development, so that rates work offline: ``python -m app.rates.demo_service``.

It speaks as Frankfurter does, and listens where the setting RATES_URL says, if that is this machine.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from app.config import load_settings
from app.core import clock
from app.rates.source import LOOPBACK

BASE = "EUR"

# What one euro is worth, roughly.
RATES = {
    "AUD": 1.66, "BRL": 6.2, "CAD": 1.5, "CHF": 0.95, "CNY": 7.8, "CZK": 25.1, "DKK": 7.46, "EUR": 1, "GBP": 0.85,
    "HKD": 8.45, "HUF": 395, "IDR": 17500, "ILS": 4.0, "INR": 91, "ISK": 149, "JPY": 163, "KRW": 1470, "KWD": 0.333,
    "MXN": 19.8, "MYR": 5.05, "NOK": 11.5, "NZD": 1.8, "PHP": 62, "PLN": 4.3, "RON": 4.97, "SEK": 11.3, "SGD": 1.45,
    "THB": 38.5, "TRY": 35, "USD": 1.08, "ZAR": 20.2,
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Answers ``GET /latest?base=EUR&symbols=USD,CHF``; all rates where no symbols are named."""

    def do_GET(self) -> None:
        """Answer with the rates, or 404 for a currency that is not known."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        base = query.get("base", [BASE])[0]
        symbols = query["symbols"][0].split(",") if "symbols" in query else [name for name in RATES if name != base]
        if url.path != "/latest" or not {base, *symbols} <= RATES.keys():
            self._answer(404, {"message": "not found"})
            return
        rates = {symbol: float(f"{RATES[symbol] / RATES[base]:.5g}") for symbol in symbols}
        self._answer(200, {"amount": 1.0, "base": base, "date": clock.now().date().isoformat(), "rates": rates})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until interrupted; end at once where RATES_URL names another machine's service, or none."""
    address = load_settings()["RATES_URL"]
    url = urlsplit(address)
    if url.hostname not in LOOPBACK or not url.port:
        print(f"RATES_URL is {address or 'not set'}: there is nothing to serve here.", file=sys.stderr)
        return
    try:
        server = ThreadingHTTPServer((url.hostname, url.port), Handler)
    except OSError as error:
        sys.exit(f"Error: {address} cannot be opened ({error.strerror}). Choose another with RATES_URL.")
    print(f"Demo exchange rates at {address}/latest", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
