import { signal, type Signal } from '@preact/signals'

/** A control in a grid: the key of its row, and its index in the row. */
export interface GridPosition { readonly key: string, readonly column: number }

interface FocusRequest { readonly position: GridPosition | undefined, readonly block: 'nearest' | 'start' }

/** Which control of a grid has the focus, or gets it when Tab moves the focus into the grid. */
export interface GridFocus {
  readonly active: Signal<GridPosition | undefined>
  /** The control that is to be focused as soon as its row is rendered. */
  readonly request: Signal<FocusRequest | undefined>
  /**
   * Focuses a row, or the active one. If it is gone, the focus goes to the row that is now in its place. With `start`,
   * the row comes to the top of the view.
   */
  focus (position?: GridPosition, block?: 'nearest' | 'start'): void
}

export function createGridFocus (): GridFocus {
  const active: GridFocus['active'] = signal(undefined)
  const request: GridFocus['request'] = signal(undefined)
  return {
    active,
    request,
    focus (position = active.value, block = 'nearest') {
      active.value = position
      request.value = { position, block }
    }
  }
}
