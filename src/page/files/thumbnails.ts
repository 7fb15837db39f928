import type { StoredFile } from 'magicstore'
import { bytesAddress } from '../worker-link.ts'
import { readBytes } from './downloads.ts'
import { kindOf } from './kinds.ts'

/** How many thumbnails are made at a time. */
const MAX_RUNNING = 3

/** Larger files get no thumbnail, except videos that the service worker reads in parts. */
const MAX_BYTES = 30 * 1000 ** 2

/** Larger images are not decoded: each pixel takes four bytes. */
const MAX_PIXELS = 50 * 1000 ** 2

/** Pixels of a side: a tile on a screen with two pixels for one. */
const EDGE = 360

/** How long to wait for an image or a frame, while others wait for their turn. */
const MAX_WAIT_MS = 15_000

/** A seek may end before its frame can be drawn. The tries are limited, because a frame can be transparent. */
const FRAME_TRIES = 20
const FRAME_WAIT_MS = 50

let running = 0

/** Thumbnails that wait for their turn. The newest is next: older ones may have left the view. */
const waiting: (() => void)[] = []

/** Whether a thumbnail can be tried. */
export function canDraw (file: StoredFile): boolean {
  const kind = kindOf(file)
  if (file.size === 0 || (kind !== 'image' && kind !== 'video')) return false
  return file.size <= MAX_BYTES || (kind === 'video' && bytesAddress(file) !== undefined)
}

/**
 * Draws an image, or a frame of a video, on a canvas, which is the only place where it is kept.
 * @throws what `call` throws, and the errors of files that this browser can't decode.
 */
export async function drawThumbnail (canvas: HTMLCanvasElement, file: StoredFile, signal: AbortSignal): Promise<void> {
  await turn()
  try {
    signal.throwIfAborted()
    await (kindOf(file) === 'video' ? drawVideo(canvas, file, signal) : drawImage(canvas, file, signal))
  } finally {
    running--
    waiting.pop()?.()
  }
}

async function turn (): Promise<void> {
  if (running >= MAX_RUNNING) await new Promise<void>(resolve => waiting.push(resolve))
  running++
}

async function drawImage (canvas: HTMLCanvasElement, file: StoredFile, signal: AbortSignal): Promise<void> {
  const bytes = await readBytes(file, file.size, signal)
  await withAddress(bytes, async address => {
    const image = new Image()
    image.src = address
    await once(image, 'load', signal)
    // Known before it is decoded.
    if (image.naturalWidth * image.naturalHeight > MAX_PIXELS) throw new RangeError('too many pixels')
    await image.decode()
    signal.throwIfAborted()
    draw(canvas, image, [image.naturalWidth, image.naturalHeight])
  })
}

async function drawVideo (canvas: HTMLCanvasElement, file: StoredFile, signal: AbortSignal): Promise<void> {
  const address = bytesAddress(file)
  if (address !== undefined) return drawFrame(canvas, address, signal)
  await withAddress(await readBytes(file, file.size, signal), address => drawFrame(canvas, address, signal))
}

/** Draws a frame after the beginning, which is often black. */
async function drawFrame (canvas: HTMLCanvasElement, address: string, signal: AbortSignal): Promise<void> {
  const video = document.createElement('video')
  video.muted = true
  video.preload = 'auto'
  try {
    video.src = address
    await once(video, 'loadeddata', signal)
    const sought = once(video, 'seeked', signal)
    video.currentTime = Number.isFinite(video.duration) ? Math.min(1, video.duration / 4) : 0
    await sought
    for (let tries = 1; tries <= FRAME_TRIES; tries++) {
      draw(canvas, video, [video.videoWidth, video.videoHeight])
      if (!isBlank(canvas)) return
      await new Promise(resolve => { setTimeout(resolve, FRAME_WAIT_MS) })
      signal.throwIfAborted()
    }
  } finally {
    // Ends its requests.
    video.removeAttribute('src')
    video.load()
  }
}

/** Draws the square in the middle of a picture. */
function draw (
  canvas: HTMLCanvasElement, source: CanvasImageSource, [width, height]: readonly [width: number, height: number]
): void {
  const side = Math.min(width, height)
  if (side === 0) throw new RangeError('no picture')
  canvas.width = canvas.height = Math.min(side, EDGE)
  const context = contextOf(canvas)
  context.imageSmoothingQuality = 'high'
  context.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, canvas.width, canvas.height)
}

function contextOf (canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (context === null) throw new RangeError('no canvas')
  return context
}

/** Whether nothing was drawn. */
function isBlank (canvas: HTMLCanvasElement): boolean {
  return contextOf(canvas).getImageData(0, 0, 1, 1).data[3] === 0
}

async function withAddress (bytes: Blob, use: (address: string) => Promise<void>): Promise<void> {
  const address = URL.createObjectURL(bytes)
  try {
    await use(address)
  } finally {
    URL.revokeObjectURL(address)
  }
}

/** Resolves at an event of an element. Rejects at its error, when the signal aborts, and after a time. */
function once (element: HTMLElement, event: string, signal: AbortSignal): Promise<void> {
  const ended = new AbortController()
  return new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new RangeError('no picture in time')), MAX_WAIT_MS)
    ended.signal.addEventListener('abort', () => clearTimeout(timer))
    element.addEventListener(event, () => resolve(), { signal: ended.signal })
    element.addEventListener('error', () => reject(new RangeError('no picture')), { signal: ended.signal })
    signal.addEventListener('abort', () => reject(new RangeError('left the view')), { signal: ended.signal })
  }).finally(() => ended.abort())
}
