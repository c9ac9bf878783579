/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Namespace furniture by ioctl and rtnetlink. Owns nothing: a namespace goes with its last process, and a veth pair with either
 * end's namespace.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static long link_set(const char *name, bool up)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	long result = 0;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		result = -errno;
	r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
	if (result == 0 && ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		result = -errno;
	close(fd);
	return result;
}

long step_loopback_up(const struct step *s)
{
	(void)s;
	return link_set("lo", true);
}

long step_loopback_down(const struct step *s)
{
	(void)s;
	return link_set("lo", false);
}

long step_sysctl(const struct step *s)
{
	char path[128];
	long result = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", s->host);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%d\n", s->value) < 0)
		result = -errno;
	close(fd);
	return result;
}

/*
 * A packet that is sent through lo keeps the route it was sent by, and that one leads nowhere on the way in. The source
 * must be an address with more than host scope.
 */
long step_black_hole(const struct step *s)
{
	struct ifreq alias = {.ifr_name = "lo:1"};
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = (char *)"lo"};
	struct sockaddr_in *a = (struct sockaddr_in *)&alias.ifr_addr;
	struct sockaddr_in *to = (struct sockaddr_in *)&route.rt_dst;
	struct sockaddr_in *mask = (struct sockaddr_in *)&route.rt_genmask;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	long result = 0;

	a->sin_family = to->sin_family = mask->sin_family = AF_INET;
	inet_pton(AF_INET, "192.0.2.1", &a->sin_addr);
	inet_pton(AF_INET, s->host, &to->sin_addr);
	inet_pton(AF_INET, "255.0.0.0", &mask->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, &alias) < 0 || ioctl(fd, SIOCADDRT, &route) < 0)
		result = -errno;
	close(fd);
	return result;
}

long step_one_port(const struct step *s)
{
	int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
	long result = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%d %d\n", s->port, s->port) < 0)
		result = -errno;
	close(fd);
	return result;
}

/* ---- veth ---- */

struct request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	char attributes[512];
};

static struct rtattr *attribute_add(struct request *r, unsigned short type, const void *data,
				    size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), data, size);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void attribute_end(const struct request *r, struct rtattr *a)
{
	a->rta_len = (unsigned short)((const char *)r + r->head.nlmsg_len - (char *)a);
}

static long request_send(const struct request *r)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	long result;

	if (fd < 0)
		return -errno;
	if (send(fd, r, r->head.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		result = -errno;
	else
		result = answer.head.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
	close(fd);
	return result;
}

long step_veth(const struct step *s)
{
	struct request r = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.link)),
			 .nlmsg_type = RTM_NEWLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
	const struct ifinfomsg other = {0};
	__u32 owner = (__u32)s->pid;
	struct rtattr *info, *data, *peer;

	attribute_add(&r, IFLA_IFNAME, "veth0", sizeof("veth0"));
	info = attribute_add(&r, IFLA_LINKINFO, NULL, 0);
	attribute_add(&r, IFLA_INFO_KIND, "veth", sizeof("veth") - 1);
	data = attribute_add(&r, IFLA_INFO_DATA, NULL, 0);
	peer = attribute_add(&r, VETH_INFO_PEER, &other, sizeof(other));
	attribute_add(&r, IFLA_IFNAME, "veth0", sizeof("veth0"));
	attribute_add(&r, IFLA_NET_NS_PID, &owner, sizeof(owner));
	attribute_end(&r, peer);
	attribute_end(&r, data);
	attribute_end(&r, info);
	return request_send(&r);
}

static long address_set_4(int fd, const char *host)
{
	struct ifreq r = {.ifr_name = "veth0"};
	struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;

	a->sin_family = AF_INET;
	inet_pton(AF_INET, host, &a->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, &r) < 0)
		return -errno;
	inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
	return ioctl(fd, SIOCSIFNETMASK, &r) < 0 ? -errno : 0;
}

/* The kernel makes an address usable in a work of its own, a moment later. */
static long address_set_6(int fd, const char *host)
{
	struct in6_ifreq r = {.ifr6_prefixlen = 64, .ifr6_ifindex = (int)if_nametoindex("veth0")};
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	double deadline = now_seconds() + 5;

	inet_pton(AF_INET6, host, &r.ifr6_addr);
	if (ioctl(fd, SIOCSIFADDR, &r) < 0)
		return -errno;
	a.sin6_addr = r.ifr6_addr;
	while (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (errno != EADDRNOTAVAIL || now_seconds() > deadline)
			return -errno;
		pause_ms(5);
	}
	return 0;
}

/* Duplicate address detection would hold an IPv6 address back for a second or two, or until the other end is up. */
static void detection_off(void)
{
	static const char *const names[] = {"all", "veth0"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_dad", names[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0) {
			dprintf(fd, "0\n");
			close(fd);
		}
	}
}

long step_veth_up(const struct step *s)
{
	bool six = strchr(s->host, ':');
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	long result;

	if (fd < 0)
		return -errno;
	detection_off();
	result = link_set("veth0", true);
	if (result == 0)
		result = six ? address_set_6(fd, s->host) : address_set_4(fd, s->host);
	close(fd);
	return result;
}

long step_veth_down(const struct step *s)
{
	(void)s;
	return link_set("veth0", false);
}
