/* The brokers of a consumer, and librdkafka's settings behind them, as they are written in one
 * text: "host:9092,host2:9092?security.protocol=ssl&ssl.ca.location=/etc/ca.pem". Pure; any thread.
 */
#ifndef HA_PROXY_KAFKA_SETTINGS_H
#define HA_PROXY_KAFKA_SETTINGS_H

#include "base/err.h"

/* Calls set() with "bootstrap.servers" and its value, then with each setting. It ends with the
 * first error, ERR_CONFIG for what cannot be read; settings that what is promised rests on
 * (offsets, the group, loading of code) are refused. */
enum err_code kafka_settings_read(const char *text,
                                  enum err_code (*set)(void *arg, const char *name,
                                                       const char *value, struct err *e),
                                  void *arg, struct err *e);

#endif
