# Redis over TCP, behind a user and password, in another database; and with the
# wrong password, which must make neither a storm nor an alert.

use lib 't/lib';
use IO::Socket::INET;
use Ticket::Test;
use Ticket::Nginx;
use Ticket::Redis;
use Time::HiRes qw(sleep);

my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!\n";
my $port  = $probe->sockport;
close $probe;
my $redis = Ticket::Redis->new(dir => temp_dir(), options => ['--port', $port, '--bind', '127.0.0.1']);
$redis->cmd(qw(ACL SETUSER seller on >a-long-secret ~ticket:* +@all));

for my $name (qw(right wrong)) {
    my $fh;
    open $fh, '>', temp_dir() . "/$name" or die "$name: $!";
    chmod 0600, $fh;
    print {$fh} $name eq 'right' ? "a-long-secret\n" : "another\n";
    close $fh or die "$name: $!";
}

sub node {
    my ($name, %args) = @_;
    my $dir = temp_dir();
    return Ticket::Nginx->new(redis => $redis, name => $name, %args, http => <<"CONF");
        ticket_redis 127.0.0.1:$port user=seller password_file=$dir/$name db=3;
        ticket_zone  rooms:1m interval=100ms;
        ticket_keys  %%KEYS%%;
        ticket_room  show { slots 1; early_polls allow; }
        server {
            listen unix:%%SOCK%%;
            location = /queue   { ticket_queue show; }
            location = /metrics { ticket_metrics; }
        }
CONF
}

my $right = node('right');
is($right->http('POST', '/queue')->{json}{state}, 'admitted', 'a join by way of TCP, user, password and database');
$redis->cmd('SELECT', 3);
is($redis->cmd('EXISTS', 'ticket:{show}'), 1, 'the line is in the database named');

my $wrong = node('wrong');
is($wrong->http('POST', '/queue')->{status}, 503, 'with the wrong password, joins are answered with 503');
sleep 2;
like($wrong->error_log, qr/refused AUTH or SELECT: WRONGPASS/, 'the log says why');
unlike($wrong->error_log, qr/a-long-secret|another/, 'and not the password');
my $tries = () = $wrong->error_log =~ /refused AUTH/g;
cmp_ok($tries, '<=', 12, "$tries tries in two seconds of two processes");

done_testing;
