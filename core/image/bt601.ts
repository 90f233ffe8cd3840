/** The weights of red, green and blue in luma (ITU-R BT.601), in 256ths: together they are 256. */
export const BT601_256THS = { red: 77, green: 150, blue: 29 } as const;
