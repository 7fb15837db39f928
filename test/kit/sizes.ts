export const KIB = 1024
export const MIB = 1024 ** 2
export const GIB = 1024 ** 3

/** The rings of tests: what runs at every commit, before a landing, and as long as wanted. RING says which. */
const RINGS = ['tests', 'checks', 'proofs'] as const

const ring = RINGS.findIndex(name => name === (process.env.RING ?? 'tests'))
if (ring === -1) throw new Error(`RING is one of ${RINGS.join(', ')}`)

/** Whether this run takes the full sizes and walks tables whole. */
export const isProof = RINGS[ring] === 'proofs'

/**
 * How much is done and how often: in the tests, in the checks and in the proofs. What is no part of the tests has the
 * sizes of the checks where it is run by hand.
 */
const TABLE = {
  quotaActs: [30, 30, 400],
  backupRounds: [1, 1, 3],
  clientCuts: [3, 3, 10],
  clientKills: [1, 1, 2],
  clientUploadBytes: [20 * MIB, 20 * MIB, 200 * MIB],
  codeRaces: [2, 2, 5],
  feedActs: [300, 300, 10_000],
  feedHistories: [30, 60, 5000],
  filesAtStart: [20_000, 20_000, 100_000],
  filesToUpgrade: [20_000, 20_000, 1_000_000],
  firstFactorKills: [4, 4, 25],
  firstFactorRaces: [2, 2, 12],
  folderRaces: [2, 2, 20],
  keptModelRuns: [20, 5, 100],
  killedLinkUploadBytes: [6 * MIB, 6 * MIB, 60 * MIB],
  linkModelRuns: [20, 20, 300],
  linkModelRunsOnPostgres: [3, 3, 50],
  linkUploadKills: [2, 2, 10],
  modelSteps: [300, 300, 2000],
  pageDownloadBytes: [3_000_000, 3_000_000, 30_000_000],
  pageFiles: [260, 260, 5000],
  pageFolderUploads: [30, 30, 300],
  pageFolders: [210, 210, 450],
  pagePhotos: [110, 110, 300],
  pageScrolled: [60, 60, 1000],
  pageSelected: [210, 210, 650],
  pageStoryBytes: [2 * MIB, 2 * MIB, 50 * MIB],
  passwordChangeRaces: [3, 3, 10],
  powerCuts: [6, 6, 40],
  propertyRuns: [3, 3, 30],
  recordedOperations: [80, 80, 240],
  /** Files that are imported, and exported again. */
  transferred: [100, 500, 100_000],
  syncHistories: [500, 2000, 100_000],
  syncKills: [6, 6, 1000],
  syncTurns: [200, 800, 40_000],
  timelineFiles: [10_000, 10_000, 40_000],
  twoFactorRaces: [2, 2, 6],
  unfinishedUploads: [100, 100, 1000],
  zipBucketBytes: [8 * MIB, 8 * MIB, 512 * MIB],
  zipFiles: [700, 700, 70_000]
} satisfies Record<string, readonly [tests: number, checks: number, proofs: number]>

/** The sizes of this run. */
export const sizes = Object.fromEntries(
  Object.entries(TABLE).map(([name, row]) => [name, row[ring]])
) as Record<keyof typeof TABLE, number>
