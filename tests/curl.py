"""Enough of curl to run what the README prints, on a machine that has none: URL, -s, -X, -H, -d, -F and -o."""

import argparse
import sys
import urllib.error
import urllib.request
from pathlib import Path

BOUNDARY = "a-boundary-that-is-in-no-file"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data")
    parser.add_argument("-F", dest="form")
    parser.add_argument("-o", dest="output", type=Path)
    options = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in options.headers)
    data = options.data.encode() if options.data else None
    if options.form:
        data = form(*options.form.split("=@", 1))
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    request = urllib.request.Request(options.url, data, headers, method=options.method)  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=30)  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error
    if options.output:
        options.output.write_bytes(answer.read())
    else:
        sys.stdout.write(answer.read().decode())


def form(field: str, path: str) -> bytes:
    """Return the body that uploads a file as a field of a form."""
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{Path(path).name}"'
    return b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (
        BOUNDARY.encode(),
        disposition.encode(),
        Path(path).read_bytes(),
        BOUNDARY.encode(),
    )


main()
