"""Differences as a page applies them, in Python."""


def changed(value, difference):
    """What src/board.js does."""
    if isinstance(difference, list):
        return difference[0]
    if isinstance(value, list):
        grown = dict(enumerate(value))
        grown |= {int(key): changed(grown.get(int(key)), one) for key, one in difference.items()}
        return [grown[place] for place in range(len(grown))]
    return value | {key: changed(value[key], one) for key, one in difference.items()}
