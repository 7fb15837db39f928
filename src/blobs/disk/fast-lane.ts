/** Places that are few; each is held by one at a time. */
export interface FastLane {
  /** Takes a place if one is free; to be given back by `leave`. */
  enter (): boolean
  leave (): void
}

export function createFastLane (places: number): FastLane {
  let free = places
  return {
    enter () {
      if (free === 0) return false
      free--
      return true
    },
    leave () { free++ }
  }
}
