import t from 'tap'
import { MAX_SCALE, moved, pinched, toggled, WHOLE, zoomed, type Sizes } from '../src/page/files/zoom.ts'

/** A picture as wide as the window, but half as high. */
const sizes: Sizes = { picture: { width: 400, height: 200 }, window: { width: 400, height: 400 } }

t.test('what is at a place stays there when a picture is zoomed', t => {
  t.strictSame(zoomed(WHOLE, { factor: 4, at: { x: 100, y: 50 } }, sizes), { scale: 4, x: -300, y: -150 })
  const deeper = zoomed({ scale: 4, x: -300, y: -150 }, { factor: 2, at: { x: 100, y: 50 } }, sizes)
  t.strictSame(deeper, { scale: 8, x: -700, y: -350 })
  t.end()
})

t.test('a picture is never smaller than whole, nor larger than the limit', t => {
  t.strictSame(zoomed(WHOLE, { factor: 0.1, at: { x: 100, y: 0 } }, sizes), WHOLE)
  t.equal(zoomed(WHOLE, { factor: 1000, at: WHOLE }, sizes).scale, MAX_SCALE)
  t.end()
})

t.test('a picture can\'t be moved out of the window, and not at all where it has room', t => {
  t.strictSame(moved(WHOLE, { x: 90, y: 90 }, sizes), WHOLE)
  t.strictSame(moved({ scale: 1.5, x: 0, y: 0 }, { x: 1000, y: 1000 }, sizes), { scale: 1.5, x: 100, y: 0 })
  t.strictSame(moved({ scale: 4, x: 0, y: 0 }, { x: -1000, y: -1000 }, sizes), { scale: 4, x: -600, y: -200 })
  t.end()
})

t.test('a picture follows two fingers, also to one place', t => {
  const from = [{ x: -10, y: 0 }, { x: 10, y: 0 }] as const
  t.strictSame(pinched(WHOLE, { from, to: [{ x: -40, y: 0 }, { x: 40, y: 0 }] }, sizes), { scale: 4, x: 0, y: 0 })
  const aside = pinched({ scale: 4, x: 0, y: 0 }, { from, to: [{ x: 20, y: 30 }, { x: 40, y: 30 }] }, sizes)
  t.strictSame(aside, { scale: 4, x: 30, y: 30 })
  t.strictSame(pinched(WHOLE, { from, to: [{ x: 0, y: 0 }, { x: 0, y: 0 }] }, sizes), WHOLE)
  t.end()
})

t.test('a double tap makes a picture larger, and another one whole', t => {
  const larger = toggled(WHOLE, { x: 40, y: 0 }, sizes)
  t.strictSame(larger, { scale: 2.5, x: -60, y: 0 })
  t.strictSame(toggled(larger, { x: 0, y: 0 }, sizes), WHOLE)
  t.end()
})
