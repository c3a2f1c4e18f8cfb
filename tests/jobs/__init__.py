"""Users' scripts: objectives that jobs load by name, and trainings that serve them."""
