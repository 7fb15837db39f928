/** Larger images are not decoded: each pixel takes four bytes. */
const MAX_PIXELS = 50 * 1000 ** 2

/** Pixels of the sides of a small picture: a square of it fills a tile on a screen with two pixels for one. */
const SHORT_SIDE = 320
const LONG_SIDE = 512

/** What the server takes. */
const MAX_BYTES = 64 * 1024

/** How a small picture is written, until it has few enough bytes. Not every browser writes WebP. */
const FORMATS = [['image/webp', 0.8], ['image/webp', 0.3], ['image/jpeg', 0.8], ['image/jpeg', 0.3]] as const

/** How long to wait for an image or a frame, while others wait for their turn. */
const MAX_WAIT_MS = 15_000

/** A seek may end before its frame can be drawn. The tries are limited, because a frame can be transparent. */
const FRAME_TRIES = 20
const FRAME_WAIT_MS = 50

type Size = readonly [width: number, height: number]

/** A small picture of an image. @throws the errors of images that this browser can't decode. */
export function shrinkImage (bytes: Blob, signal?: AbortSignal): Promise<Blob> {
  return withAddress(bytes, async address => {
    const image = new Image()
    image.src = address
    await once(image, 'load', signal)
    // Known before it is decoded.
    if (image.naturalWidth * image.naturalHeight > MAX_PIXELS) throw new RangeError('too many pixels')
    await image.decode()
    signal?.throwIfAborted()
    const canvas = document.createElement('canvas')
    draw(canvas, image, [image.naturalWidth, image.naturalHeight])
    return encoded(canvas)
  })
}

/** A small picture of a frame of a video that is in memory or on this device. @throws as `shrinkFrame`. */
export function shrinkVideo (bytes: Blob, signal?: AbortSignal): Promise<Blob> {
  return withAddress(bytes, address => shrinkFrame(address, signal))
}

/**
 * A small picture of a frame after the beginning, which is often black.
 * @throws the errors of videos that this browser can't decode.
 */
export async function shrinkFrame (address: string, signal?: AbortSignal): Promise<Blob> {
  const canvas = document.createElement('canvas')
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
      if (!isBlank(canvas)) break
      await new Promise(resolve => { setTimeout(resolve, FRAME_WAIT_MS) })
      signal?.throwIfAborted()
    }
    return await encoded(canvas)
  } finally {
    // Ends its requests.
    video.removeAttribute('src')
    video.load()
  }
}

/** Draws the square in the middle of a small picture. @throws an error for bytes that are none. */
export async function drawSquare (canvas: HTMLCanvasElement, picture: Blob): Promise<void> {
  const image = await createImageBitmap(picture)
  const { width, height } = image
  const side = Math.min(width, height)
  canvas.width = canvas.height = side
  contextOf(canvas).drawImage(image, (width - side) / 2, (height - side) / 2, side, side, 0, 0, side, side)
  image.close()
}

function draw (canvas: HTMLCanvasElement, source: CanvasImageSource, [width, height]: Size): void {
  if (width === 0 || height === 0) throw new RangeError('no picture')
  const scale = Math.min(1, SHORT_SIDE / Math.min(width, height), LONG_SIDE / Math.max(width, height))
  canvas.width = Math.max(1, Math.round(width * scale))
  canvas.height = Math.max(1, Math.round(height * scale))
  const context = contextOf(canvas)
  context.imageSmoothingQuality = 'high'
  context.drawImage(source, 0, 0, canvas.width, canvas.height)
}

/** @throws RangeError if nothing is small enough. */
async function encoded (canvas: HTMLCanvasElement): Promise<Blob> {
  for (const [type, quality] of FORMATS) {
    if (type === 'image/jpeg') whiten(canvas)
    const blob = await new Promise<Blob | null>(resolve => { canvas.toBlob(resolve, type, quality) })
    // A browser that does not write this type writes PNG.
    if (blob !== null && blob.type === type && blob.size <= MAX_BYTES) return blob
  }
  throw new RangeError('no small picture')
}

/** JPEG would show what is transparent as black. */
function whiten (canvas: HTMLCanvasElement): void {
  const context = contextOf(canvas)
  context.globalCompositeOperation = 'destination-over'
  context.fillStyle = 'white'
  context.fillRect(0, 0, canvas.width, canvas.height)
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

async function withAddress<Result> (bytes: Blob, use: (address: string) => Promise<Result>): Promise<Result> {
  const address = URL.createObjectURL(bytes)
  try {
    return await use(address)
  } finally {
    URL.revokeObjectURL(address)
  }
}

/** Resolves at an event of an element. Rejects at its error, when the signal aborts, and after a time. */
function once (element: HTMLElement, event: string, signal?: AbortSignal): Promise<void> {
  const ended = new AbortController()
  return new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new RangeError('no picture in time')), MAX_WAIT_MS)
    ended.signal.addEventListener('abort', () => clearTimeout(timer))
    element.addEventListener(event, () => resolve(), { signal: ended.signal })
    element.addEventListener('error', () => reject(new RangeError('no picture')), { signal: ended.signal })
    signal?.addEventListener('abort', () => reject(new RangeError('left the view')), { signal: ended.signal })
  }).finally(() => ended.abort())
}
