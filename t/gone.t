# A visitor who goes away while Redis is being asked: the answer finds nobody,
# also where "post_action" keeps the request alive in another location.

use lib 't/lib';
use IO::Socket::UNIX;
use Ticket::Test;
use Ticket::Admin;
use Ticket::Http::Jar;
use Ticket::Line;
use Ticket::Redis;
use Ticket::RedisProxy;
use Time::HiRes qw(sleep);

# What stands behind post_action, and takes its time.
my $slow = IO::Socket::UNIX->new(Local => temp_dir() . '/slow.sock', Listen => 64, Blocking => 0) or die "listen: $!\n";
my @held;

my $after = 'post_action /after;';
my $redis = Ticket::Redis->new(dir => temp_dir());
my $proxy = Ticket::RedisProxy->new(dir => temp_dir(), redis => $redis);
my $node  = line_node($proxy, 'slots 1; session 60s renew=on max=120s; claim 30s; liveness 60s;', timeout => '8s',
    workers => 1, extra => <<"CONF");
    location /line   { ticket_queue show; $after }
    location /known  { ticket_identity \$http_x_user; ticket_queue show; $after }
    location /other  { ticket_queue show:other; $after }
    location = /gate { ticket_gate show; $after proxy_pass http://unix:%%SOCK%%:/told; }
    location /admin/ { ticket_admin; $after }
    location = /after { internal; proxy_pass http://unix:%%DIR%%/slow.sock; }
CONF

my $jar = Ticket::Http::Jar->new;
is $node->http({method => 'POST', path => '/line', jar => $jar})->{json}{state}, 'admitted', 'one is inside';
my $pass = $jar->get('ticket-pass-show');
is $node->http({method => 'POST', path => '/known', headers => {'X-User' => 'ann'}})->{status}, 201, 'one waits who is known';

sub leave_during {
    my ($name, $method, $path, $headers, $body) = @_;
    $headers = join '', map { "$_: $headers->{$_}\r\n" } sort keys %$headers;
    $body //= '';
    my $fh = IO::Socket::UNIX->new(Peer => $node->socket) or die "connect: $!\n";
    print {$fh} "$method $path HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: " . length($body) . "\r\n\r\n$body";
    $fh->flush;
    sleep 0.1;
    close $fh;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eventually { my $got = $slow->accept; push @held, $got if $got; $got } 5, "$name: the request goes on elsewhere";
}

my ($worker) = $node->worker_pids;
my %json = ('Content-Type' => 'application/json');
my %mine = ('X-Ticket-Pass' => $pass);

for my $answers ('late', 'never') {
    $proxy->order($answers eq 'late' ? (slow => 800) : 'hold');
    leave_during("$answers, $_->[0]", @$_[1 .. $#$_]) for
        ['join',    'POST',   '/other'],
        ['known',   'POST',   '/known', {'X-User' => 'ann'}],
        ['check',   'POST',   '/line', \%mine],
        ['why',     'GET',    '/line/why', \%mine],
        ['gate',    'GET',    '/gate', \%mine],
        ['state',   'GET',    '/admin/show'],
        ['audit',   'GET',    '/admin/show/audit'],
        ['number',  'GET',    '/admin/show/1'],
        ['change',  'PATCH',  '/admin/show', \%json, '{"paused":false}'];
    sleep($answers eq 'late' ? 1.5 : 10);
    $proxy->order('pass');
    eventually { $node->http('GET', '/admin/show')->{status} == 200 } 20, "$answers: Redis is back";
    is_deeply [$node->worker_pids], [$worker], "$answers: the worker is still there";
}

eventually { occupied($redis, 'show:other') == 0 } 5, 'a place that nobody waited for is given back';
is $node->http({method => 'POST', path => '/line', headers => \%mine})->{json}{state}, 'admitted', 'who is inside stays inside';

# What is held by post_action would hold nginx as it stops.
@held = ();
close $slow;

done_testing;
