type StorageName = 'localStorage' | 'sessionStorage'

/** The text that the browser has stored under a key; undefined if there is none, or if it allows no storage. */
export function readText (key: string, storage: StorageName = 'localStorage'): string | undefined {
  try {
    return window[storage].getItem(key) ?? undefined
  } catch {
    return undefined
  }
}

/** Stores a text; undefined removes it. Does nothing if the browser allows no storage, or if it is full. */
export function writeText (key: string, text: string | undefined, storage: StorageName = 'localStorage'): void {
  try {
    if (text === undefined) window[storage].removeItem(key)
    else window[storage].setItem(key, text)
  } catch {
  }
}

/** Values by id that are stored under one key. What other software has stored there counts as none. */
export function createStoredMap<Value> (key: string, storage?: StorageName) {
  function load (): Record<string, Value> {
    try {
      return JSON.parse(readText(key, storage) ?? '{}') as Record<string, Value>
    } catch {
      return {}
    }
  }

  function save (values: Record<string, Value>): void {
    writeText(key, Object.keys(values).length === 0 ? undefined : JSON.stringify(values), storage)
  }

  return [load, save] as const
}
