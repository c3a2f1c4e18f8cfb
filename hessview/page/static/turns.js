// Drawing at the pace of the browser: a kernel may tell eight widgets ten times a second each, and a slow browser that
// drew all of it would not come to hear the next.

const turns = new Set();

/**
 * Let something be drawn soon, and once however often it is asked for meanwhile.
 * @returns ask(), and drop() of what was asked for; of all that is asked for, one is drawn in a frame
 */
function turnOf(draw) {
  return {
    ask() {
      if (turns.size === 0) requestAnimationFrame(takeTurn);
      turns.add(draw);
    },
    drop() { turns.delete(draw); },
  };
}

function takeTurn() {
  const [draw] = turns;
  turns.delete(draw);
  if (turns.size > 0) requestAnimationFrame(takeTurn);
  draw?.();
}
