package Ticket::Admin;

# An operator, for the tests of ticket_admin: nodes with an admin location,
# what is asked of it, and when visitors were called by Redis's own clock.

use strict;
use warnings;

use Exporter 'import';
use Ticket::Line;

our @EXPORT = qw(admin_node admin room set command call_times most_in);

# A node as line_node makes it, with the room "show" and the location /admin/;
# patient with a Redis that shares the machine with other tests.
sub admin_node {
    my ($redis, $settings, %args) = @_;
    my $extra = delete $args{extra} // '';
    return line_node($redis, $settings, timeout => '5s', %args,
                     extra => "location /admin/ { ticket_admin who=\$http_x_who; } $extra");
}

# The response of the admin location to a request below it.
sub admin {
    my ($node, $method, $path, $body, $who) = @_;
    my %headers = defined $who ? ('X-Who' => $who) : ();
    return $node->http($method, "/admin/$path", \%headers, $body);
}

# The state of the room; dies unless it is told.
sub room {
    my ($node, $room) = @_;
    return _ok(admin($node, 'GET', $room // 'show'));
}

# Changes settings, and gives a command; each returns the state.
sub set {
    my ($node, $settings, %option) = @_;
    return _ok(admin($node, 'PATCH', $option{room} // 'show', $settings, $option{who}));
}

sub command {
    my ($node, $command, %member) = @_;
    my $who = delete $member{who};
    return _ok(admin($node, 'POST', 'show', {command => $command, %member}, $who));
}

sub _ok {
    my ($response) = @_;
    die "admin: $response->{status} $response->{body}\n" if $response->{status} != 200;
    return $response->{json};
}

# When those were called who have not claimed since, in ms, in order; claim is
# the room's time to claim.
sub call_times {
    my ($redis, $claim_ms) = @_;
    my $epoch = $redis->cmd('HGET', 'ticket:{show}', 'epoch');
    my %ends  = @{$redis->cmd('ZRANGE', "ticket:{show}:$epoch:calls", 0, -1, 'WITHSCORES')};
    return sort { $a <=> $b } map { $_ - $claim_ms } values %ends;
}

# The most of these times that lie in any window of this length.
sub most_in {
    my ($window, @times) = @_;
    my ($most, $from) = (0, 0);
    for my $to (0 .. $#times) {
        $from++ while $times[$to] - $times[$from] >= $window;
        $most = $to - $from + 1 if $to - $from + 1 > $most;
    }
    return $most;
}

1;
