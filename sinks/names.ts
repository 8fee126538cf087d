/** The places that the raw topic is delivered into. */
export const SINKS = ['dpr-raw', 'operational', 'analytics'] as const
export type SinkName = (typeof SINKS)[number]
