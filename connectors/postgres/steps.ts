/**
 * Where capture stands between each two of its steps: receive, write, acknowledge. A test is told and may end the process
 * there; otherwise nobody asks.
 *
 *   received   frames have been read; nothing of them is looked at
 *   assembled  a transaction is whole; none of its changes is made
 *   changed    its changes are made and counted as the topic's; none is written, but for the first ones of a large one
 *   encoded    a run of changes is bytes; none is in the topic
 *   written    they are durable in the topic; nothing is acknowledged
 *   measured   a marker is durable, and where the topic then ended is kept; the index stands where it stood
 *   merged     a marker's index is durable; the slot stands where it stood
 *   noted      the slot may move; the server does not know
 *   told       the server has been told; what it makes of it is not known
 */
export const CAPTURE_STEPS = [
  'received',
  'assembled',
  'changed',
  'encoded',
  'written',
  'measured',
  'merged',
  'noted',
  'told',
] as const

export type CaptureStep = (typeof CAPTURE_STEPS)[number]

export type Reached = (step: CaptureStep) => void
