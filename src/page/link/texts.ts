import { frameTexts } from '../frame-texts.ts'
import type { LinkTexts } from '../texts/en-link.ts'

/** The texts of the page of a link. */
export const texts = frameTexts as unknown as LinkTexts
