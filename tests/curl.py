"""Enough of curl to run what the README prints, on a machine that has none: URL, -s, -X, -H and -d."""

import argparse
import sys
import urllib.error
import urllib.request


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data")
    options = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in options.headers)
    data = options.data.encode() if options.data else None
    request = urllib.request.Request(options.url, data, headers, method=options.method)  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=30)  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error
    sys.stdout.write(answer.read().decode())


main()
