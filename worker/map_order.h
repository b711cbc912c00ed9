/*
 * The end of reading a hall's CSV: what only the whole file tells.
 */
#ifndef MAP_ORDER_H
#define MAP_ORDER_H

#include "map_csv.h"

/*
 * Puts the seats in order, completes their names and the sections' focal
 * points, and complains of what is there twice.  Returns 0, or -1 without
 * memory.
 */
int map_order(map_csv_t *map);

#endif
