/** A touch of this length is a long press. */
const LONG_PRESS_MS = 500

/** A touch that moves farther scrolls. */
const MOVE_PX = 10

interface Touch { readonly x: number, readonly y: number, readonly timer: ReturnType<typeof setTimeout> }

/** One touch, until it is a long press, moves or ends. */
export class LongPress {
  #touch: Touch | undefined

  begin ({ clientX: x, clientY: y }: PointerEvent, act: () => void): void {
    this.end()
    this.#touch = { x, y, timer: setTimeout(() => { this.end(); act() }, LONG_PRESS_MS) }
  }

  readonly move = ({ clientX, clientY }: PointerEvent): void => {
    if (this.#touch !== undefined && Math.hypot(clientX - this.#touch.x, clientY - this.#touch.y) > MOVE_PX) this.end()
  }

  readonly end = (): void => {
    clearTimeout(this.#touch?.timer)
    this.#touch = undefined
  }
}
