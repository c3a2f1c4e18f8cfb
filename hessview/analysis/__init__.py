"""From events to labelled numbers."""
