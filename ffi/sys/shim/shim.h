/*
 * What Rust needs from DPDK that a binding generator cannot give:
 *  - offsets of mbuf fields, evaluated by the compiler for whichever DPDK is installed (the struct was
 *    rearranged after 22.11, partly into anonymous structs), so that no layout is written down in Rust;
 *  - flags that DPDK defines by macros with casts in them;
 *  - its inline functions and thread-locals, called once per burst or on slow paths.
 */
#ifndef BRAID_SHIM_H
#define BRAID_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* Where the fields of struct rte_mbuf are. */
static const size_t BRAID_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr);
static const size_t BRAID_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off);
static const size_t BRAID_MBUF_REFCNT = offsetof(struct rte_mbuf, refcnt);
static const size_t BRAID_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs);
static const size_t BRAID_MBUF_PORT = offsetof(struct rte_mbuf, port);
static const size_t BRAID_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags);
static const size_t BRAID_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len);
static const size_t BRAID_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len);
static const size_t BRAID_MBUF_RSS = offsetof(struct rte_mbuf, hash.rss);
static const size_t BRAID_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len);
static const size_t BRAID_MBUF_POOL = offsetof(struct rte_mbuf, pool);
static const size_t BRAID_MBUF_NEXT = offsetof(struct rte_mbuf, next);
static const size_t BRAID_MBUF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload);

/* Bits of ol_flags. */
static const uint64_t BRAID_F_NOT_DIRECT = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
static const uint64_t BRAID_F_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t BRAID_F_RX_IP_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t BRAID_F_RX_IP_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t BRAID_F_RX_IP_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t BRAID_F_RX_L4_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t BRAID_F_RX_L4_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t BRAID_F_RX_L4_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t BRAID_F_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t BRAID_F_TX_IPV6 = RTE_MBUF_F_TX_IPV6;
static const uint64_t BRAID_F_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint64_t BRAID_F_TX_TCP_CKSUM = RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t BRAID_F_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM;
static const uint64_t BRAID_F_TX_L4_MASK = RTE_MBUF_F_TX_L4_MASK;
static const uint32_t BRAID_TX_L2_LEN_SHIFT = RTE_MBUF_L2_LEN_OFS;
static const uint32_t BRAID_TX_L2_LEN_BITS = RTE_MBUF_L2_LEN_BITS;
static const uint32_t BRAID_TX_L3_LEN_SHIFT = RTE_MBUF_L3_LEN_OFS;
static const uint32_t BRAID_TX_L3_LEN_BITS = RTE_MBUF_L3_LEN_BITS;
static const uint32_t BRAID_HEADROOM = RTE_PKTMBUF_HEADROOM;

/* Sizes. */
static const uint32_t BRAID_MAX_LCORE = RTE_MAX_LCORE;
static const uint32_t BRAID_CACHE_MAX = RTE_MEMPOOL_CACHE_MAX_SIZE;
static const uint32_t BRAID_RETA_GROUP = RTE_ETH_RETA_GROUP_SIZE;
static const uint32_t BRAID_MAX_PORTS = RTE_MAX_ETHPORTS;
static const int32_t BRAID_SOCKET_ANY = SOCKET_ID_ANY;

/* Offloads and hash fields of a device. */
static const uint64_t BRAID_RX_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
				       RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t BRAID_RX_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t BRAID_RX_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t BRAID_TX_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
				       RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
static const uint64_t BRAID_TX_MULTI_SEGS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
static const uint64_t BRAID_RSS_FIELDS = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;
static const uint32_t BRAID_MQ_RX_NONE = RTE_ETH_MQ_RX_NONE;
static const uint32_t BRAID_MQ_RX_RSS = RTE_ETH_MQ_RX_RSS;

/* The calling thread's DPDK error number (a thread-local behind a macro). */
int braid_errno(void);
/* A stream whose every flushed write goes to `write`. NULL: out of memory. */
FILE *braid_log_stream(ssize_t (*write)(const char *bytes, size_t length));

/* One mbuf, or NULL when the pool is empty. */
struct rte_mbuf *braid_alloc(struct rte_mempool *pool);
/* `count` mbufs into `mbufs`, all or none: 0 or a negative error number. */
int braid_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count);
/* Drops one reference to every segment of the packet. */
void braid_free(struct rte_mbuf *mbuf);
/* A packet of its own `length` first bytes, copied, and of the rest of this one, by reference. NULL: no mbufs. */
struct rte_mbuf *braid_copy_front(struct rte_mbuf *mbuf, struct rte_mempool *pool, uint32_t length);
/* The most packets that one call is given. */
#define BRAID_BURST 32
/* The same of up to BRAID_BURST packets, all of them or none: 0 or a negative error number, and NULLs in `copies`. */
int braid_copy_fronts(struct rte_mbuf *const *mbufs, unsigned int count, struct rte_mempool *pool, uint32_t length,
		      struct rte_mbuf **copies);
/* How many objects lie in the per-lcore caches of the pool. */
unsigned int braid_pool_cached(const struct rte_mempool *pool);
/* How many objects lie in the pool's common store. */
unsigned int braid_pool_stored(const struct rte_mempool *pool);
/* How many objects the pool has in all. */
unsigned int braid_pool_size(const struct rte_mempool *pool);
/* A pool of packet mbufs with a 64-bit word of ours, zeroed, behind DPDK's private area. */
struct rte_mempool *braid_pool_create(const char *name, unsigned int count, unsigned int cache, uint16_t buffer,
				      int socket);
/* That word, or NULL when the pool was not made by braid_pool_create (some drivers make their own). */
uint64_t *braid_pool_word(struct rte_mempool *pool);

/* One burst. `prepare` runs the driver's checks for checksum offloads first; a packet that it
 * refuses ends the burst. Returns how many packets the device took. */
uint16_t braid_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t braid_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t braid_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
/* Link state without waiting: 0, or a negative error number. Speed in Mb/s, UINT32_MAX when unknown. */
int braid_link(uint16_t port, int *up, uint32_t *speed);
/* Whether another device (a bond) drives this port. */
int braid_is_bond_member(uint16_t port);
/* The device behind a port, or NULL. */
struct rte_device *braid_device(uint16_t port);

/* The calling thread's lcore, UINT32_MAX when it has none. */
unsigned int braid_lcore_id(void);
/* The time stamp counter of architectures where Rust has no intrinsic for it. */
uint64_t braid_tsc(void);

#endif
