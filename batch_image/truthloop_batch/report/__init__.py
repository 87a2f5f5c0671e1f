"""The campaign's report: a document of numbers (report.json) and one page that shows them (index.html)."""
