/** A distance or a place in CSS pixels, from the middle of the window, where a picture lies that is seen whole. */
export interface Point { readonly x: number, readonly y: number }

/** How a picture is seen: how many times larger than whole, and how far its middle is from that of the window. */
export interface View extends Point { readonly scale: number }

interface Size { readonly width: number, readonly height: number }

/** The sizes of a picture that is seen whole, and of the window. */
export interface Sizes { readonly picture: Size, readonly window: Size }

/** Two fingers. */
export type Fingers = readonly [Point, Point]

export const WHOLE: View = { scale: 1, x: 0, y: 0 }

/** Beyond, even a photo of 24 megapixels shows nothing more on a phone. */
export const MAX_SCALE = 10

/** How much larger a double tap makes a picture. */
const TAP_SCALE = 2.5

/** Makes a picture larger or smaller, so that what is at a place stays there. */
export function zoomed (view: View, { factor, at }: { factor: number, at: Point }, sizes: Sizes): View {
  const scale = Math.min(Math.max(view.scale * factor, 1), MAX_SCALE)
  const share = scale / view.scale
  return inWindow({ scale, x: at.x - (at.x - view.x) * share, y: at.y - (at.y - view.y) * share }, sizes)
}

export function moved (view: View, by: Point, sizes: Sizes): View {
  return inWindow({ scale: view.scale, x: view.x + by.x, y: view.y + by.y }, sizes)
}

/** Follows two fingers: what is between them stays there. */
export function pinched (view: View, { from, to }: { from: Fingers, to: Fingers }, sizes: Sizes): View {
  const [before, after] = [middleOf(from), middleOf(to)]
  const shifted = { ...view, x: view.x + after.x - before.x, y: view.y + after.y - before.y }
  return zoomed(shifted, { factor: distanceOf(to) / distanceOf(from), at: after }, sizes)
}

/** A picture that is seen whole becomes larger at a place, and any other whole. */
export function toggled (view: View, at: Point, sizes: Sizes): View {
  return view.scale > 1 ? WHOLE : zoomed(view, { factor: TAP_SCALE, at }, sizes)
}

/** No edge of a picture is farther inside than it must be, so that it can't be lost. */
function inWindow ({ scale, x, y }: View, { picture, window }: Sizes): View {
  const [right, bottom] = [(picture.width * scale - window.width) / 2, (picture.height * scale - window.height) / 2]
  return { scale, x: within(x, right), y: within(y, bottom) }
}

function within (value: number, most: number): number {
  return most <= 0 ? 0 : Math.min(Math.max(value, -most), most)
}

function middleOf ([one, other]: Fingers): Point {
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 }
}

/** At least a pixel: fingers can be at one place. */
function distanceOf ([one, other]: Fingers): number {
  return Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1)
}
