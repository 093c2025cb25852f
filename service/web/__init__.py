"""The pages: templates, styles and small ES modules, served as they are."""
