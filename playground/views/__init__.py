"""One module a page; each has `draw`. A folder `pages` Streamlit would take for pages of its own making."""
