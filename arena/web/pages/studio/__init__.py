"""The studio, mounted at /studio for the owner."""

from arena.web.pages.studio.shell import page as page
