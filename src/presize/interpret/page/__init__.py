"""What the HTML pages of presize have in common: template, style, pictures and figures in them."""
