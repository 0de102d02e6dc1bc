"""Files: what members upload, and the thumbnails of pictures.

A file's type is found from its content: a PNG, JPEG, GIF, WebP or PDF by its signature, text by being UTF-8 throughout
(HTML and SVG are text), else by what signature fits. A name loses its folders, controls and turns of direction.

A download takes one `Range`; several, or a malformed one, give the whole. `If-None-Match` comes first. Caches may
keep a file of a product for five minutes. Thumbnails are WebP of at most 320 by 320 pixels; a picture of more than
2^25 pixels gets none, nor does one that takes more than 320 MiB of memory or 5 s of CPU time (12 megapixels take 251
MiB and 0.8 s at most).
"""
