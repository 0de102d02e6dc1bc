"""Files: what members upload, and the thumbnails of pictures."""
