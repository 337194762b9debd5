"""`DataRegistry` on a Git repository with DVC: `registry` reads versions, `builder` makes them."""
