import { signal, type Signal } from '@preact/signals'

/** A control in a grid: the row, and the number of the control in it. */
export interface GridPosition { readonly key: string, readonly column: number }

/** Which row of a grid has the keyboard's focus, or gets it back by Tab. */
export interface GridFocus {
  readonly active: Signal<GridPosition | undefined>
  /** To focus a row as soon as it is there. */
  readonly request: Signal<{ readonly position: GridPosition | undefined } | undefined>
  /** Focuses a row, or the active one. If it is gone, the focus goes to the row that is now in its place. */
  focus (position?: GridPosition): void
}

export function createGridFocus (): GridFocus {
  const active: GridFocus['active'] = signal(undefined)
  const request: GridFocus['request'] = signal(undefined)
  return {
    active,
    request,
    focus (position = active.value) {
      active.value = position
      request.value = { position }
    }
  }
}
