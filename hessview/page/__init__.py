"""What a person sees: one view module and its shells."""
