import { encode } from 'uqr'

/** A QR code, dark on light in dark mode, too: not every app reads the opposite. */
export function QrCode ({ text, label }: { text: string, label: string }) {
  const { size, data } = encode(text, { ecc: 'M', border: 4 })
  const dark = data.flatMap((row, y) => row.map((isDark, x) => isDark ? `M${x} ${y}h1v1h-1z` : '')).join('')
  return (
    <svg class='qr-code' viewBox={`0 0 ${size} ${size}`} role='img' aria-label={label} shape-rendering='crispEdges'>
      <rect width={size} height={size} fill='#fff' />
      <path d={dark} fill='#000' />
    </svg>
  )
}
