// Drawing at the pace of the browser: a kernel may tell eight widgets ten times a second each, and a slow browser that
// drew all of it would not come to hear the next.

/** @type {Set<() => void>} */
const turns = new Set();

/**
 * Let something be drawn soon, and once however often it is asked for meanwhile; of all that is asked for in a page, one
 * is drawn in a frame.
 * @param {() => void} draw
 */
export function turnOf(draw) {
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

/**
 * Let something be drawn in the next frame, once however often it is asked for until then.
 * @param {() => void} draw
 */
export function nextFrame(draw) {
  let pending = 0;
  return {
    ask() {
      if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
    },
    drop() { cancelAnimationFrame(pending); },
  };
}
