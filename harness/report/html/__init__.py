"""`report.html`: a run on one page that needs nothing but itself; `page.render` makes it."""
