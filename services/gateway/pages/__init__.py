"""Everything a buyer sees: `views` says what a page shows, `render` turns it into HTML."""
